namespace LlamaCluster.Model.Sequences;

/// <summary>Consecutive positions of one sequence that a step computes.</summary>
/// <param name="Start">
/// Position of the first token. It goes on where the sequence's last chunk ended; after a chunk with drafts, behind the last
/// draft that was accepted. A sequence's first chunk may start later than 0 if its blocks already hold what comes before.
/// </param>
/// <param name="Tokens">[Count] on stages that need tokens (the first and the last), else empty.</param>
/// <param name="NewBlocks">Appended to the sequence's block table before the chunk runs.</param>
/// <param name="SampleCount">
/// How many of the last positions are sampled from: 0 while a prompt is not complete, 1 as a rule, 1 + k where the last k tokens
/// are drafts to verify.
/// </param>
/// <param name="TokenMask">
/// Which ids may be sampled: bit <c>id % 8</c> of byte <c>id / 8</c>, <c>ceil(V / 8)</c> bytes for each of the SampleCount positions
/// in turn; empty: all ids.
/// </param>
public sealed record Chunk(
    ulong SequenceId,
    int Start,
    int Count,
    ReadOnlyMemory<int> Tokens,
    ReadOnlyMemory<int> NewBlocks,
    int SampleCount,
    ReadOnlyMemory<byte> TokenMask);
