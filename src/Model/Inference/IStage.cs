using LlamaCluster.Model.Config;
using LlamaCluster.Model.Sequences;

namespace LlamaCluster.Model.Inference;

/// <summary>
/// A stage's part of the forward pass for many sequences, whose KV it keeps (<see cref="Step"/> says what a step brings).
/// One caller at a time. The logits of a row depend, in every bit, on its sequence's tokens only: not on what else
/// is in the step, on chunking, on the number of threads or on the number of stages.
/// </summary>
public interface IStage : IDisposable
{
    StageShape Shape { get; }

    /// <summary>[rows, D] activations from the stage before; to be filled before <see cref="Run"/> (the first stage has none).</summary>
    Span<float> Input(int rows);

    /// <summary>Runs the step. A step that cannot be run is refused as a value, and then changes nothing.</summary>
    StepOutcome Run(Step step);

    /// <summary>[rows, D] activations of the last step for the next stage (the last stage has none). Valid until the next call.</summary>
    ReadOnlySpan<float> Output { get; }

    /// <summary>Forgets a sequence; its blocks may be given to another one from now on. Unknown ids are ignored.</summary>
    void End(ulong sequenceId);
}
