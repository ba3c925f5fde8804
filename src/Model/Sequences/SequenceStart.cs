using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Sequences;

/// <summary>What does not change while a sequence lives.</summary>
/// <param name="PromptLength">Frequency and presence penalties count the tokens from here on.</param>
/// <param name="History">
/// The tokens before the first chunk's start. Needed on the last stage only, where a penalty is on; else it may be empty.
/// </param>
public sealed record SequenceStart(ulong SequenceId, SamplingOptions Sampling, int PromptLength, IReadOnlyList<int> History)
{
    /// <summary>Why the sequence cannot run, in one line: its facts are bad. Null as a rule. Its chunks are answered with a failure.</summary>
    public string? Problem { get; init; }
}
