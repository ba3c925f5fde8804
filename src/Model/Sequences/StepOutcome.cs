namespace LlamaCluster.Model.Sequences;

/// <summary>How a step ended.</summary>
public abstract record StepOutcome
{
    StepOutcome() { }

    /// <param name="Samples">On the last stage, one per chunk that was sampled from or reports its prompt, in chunk order; else empty.</param>
    public sealed record Completed(IReadOnlyList<SequenceSamples> Samples) : StepOutcome
    {
        /// <summary>Sequences that cannot go on, in chunk order; the others are not affected.</summary>
        public IReadOnlyList<SequenceFailure> Failures { get; init; } = [];
    }

    /// <summary>The step contradicts what the stage knows: a bug of its sender. Nothing was changed.</summary>
    /// <param name="Reason">One line: which sequence, which field, what is wrong with it.</param>
    public sealed record Refused(string Reason) : StepOutcome;

    /// <summary>The step ran, but its numbers are not finite (damaged weights or activations). Its sequences cannot go on.</summary>
    /// <param name="Reason">One line: which sequence, which position.</param>
    public sealed record Failed(string Reason) : StepOutcome;
}

/// <summary>A sequence whose facts are bad or whose numbers are not finite. It has no samples, and answers so to each of its chunks until it is ended.</summary>
/// <param name="Reason">One line: what is wrong, and where.</param>
public sealed record SequenceFailure(ulong SequenceId, string Reason);
