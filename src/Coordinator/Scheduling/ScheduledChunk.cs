namespace LlamaCluster.Coordinator.Scheduling;

/// <summary>What one step computes of one sequence: positions <paramref name="Start"/> .. Start + <paramref name="Count"/>.</summary>
/// <param name="Drafts">Guessed tokens, which stand at the last positions, behind the sequence's known ones.</param>
/// <param name="NewBlocks">Appended to the sequence's block table on the workers before the chunk runs.</param>
/// <param name="SampleCount">How many of the last positions are sampled from; where there are drafts, one more than those.</param>
/// <param name="Introduces">The workers do not know the sequence yet.</param>
public sealed record ScheduledChunk(Sequence Sequence, int Start, int Count, IReadOnlyList<int> Drafts, IReadOnlyList<int> NewBlocks, int SampleCount, bool Introduces);
