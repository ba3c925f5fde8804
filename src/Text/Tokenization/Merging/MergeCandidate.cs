namespace LlamaCluster.Text.Tokenization.Merging;

/// <summary>A pair that may be merged: of a symbol and its right neighbour as they were when it was found.</summary>
/// <param name="Order">Priority in the upper half, index of the left symbol in the lower: the least goes first.</param>
/// <param name="Length">Of both symbols together, in bytes: another length now means that one of them has changed.</param>
readonly record struct MergeCandidate(ulong Order, int Length, int Id)
{
    public int Left => (int)(uint)Order;

    public static MergeCandidate Of(uint priority, int left, int length, int id) => new((ulong)priority << 32 | (uint)left, length, id);
}
