namespace LlamaCluster.Model.Sequences;

/// <summary>How a step ended.</summary>
public abstract record StepOutcome
{
    StepOutcome() { }

    /// <param name="Samples">On the last stage, one per chunk that was sampled from or reports its prompt, in chunk order; else empty.</param>
    public sealed record Completed(IReadOnlyList<SequenceSamples> Samples) : StepOutcome
    {
        /// <summary>
        /// The step's sequences that cannot go on, as far as this stage knows, in chunk order. The others are not affected. Activations that leave
        /// a stage are NaN where their sequence is damaged, so that later stages find it too: the last stage knows of all.
        /// </summary>
        public IReadOnlyList<SequenceFailure> Failures { get; init; } = [];
    }

    /// <summary>The step contradicts what the stage knows: a bug of its sender. Nothing was changed.</summary>
    /// <param name="Reason">One line: which sequence, which field, what is wrong with it.</param>
    public sealed record Refused(string Reason) : StepOutcome;

    /// <summary>The step as a whole cannot be completed, through no fault of its sequences. A <see cref="Inference.StageRunner"/> has no such outcome.</summary>
    /// <param name="Reason">One line.</param>
    public sealed record Failed(string Reason) : StepOutcome;
}

/// <summary>
/// A sequence whose facts are bad or whose numbers are not finite (damaged weights or activations). It has no samples, and each of its chunks is
/// answered with the same failure until the sequence is ended.
/// </summary>
/// <param name="Reason">One line: what is wrong, and where.</param>
public sealed record SequenceFailure(ulong SequenceId, string Reason);
