using LlamaCluster.Primitives;

namespace LlamaCluster.Planning.Plans;

/// <summary>What one rank of a tensor group holds of every layer of its stage, and of the head.</summary>
/// <param name="Heads">Query heads: rows of Q, columns of O. Whole groups that share a KV head, or a part of one group.</param>
/// <param name="KvHeads">The KV heads of those: rows of K and V. More ranks than KV heads have some of them in common.</param>
/// <param name="Ffn">Rows of gate and up, columns of down.</param>
/// <param name="Vocabulary">Rows of the head.</param>
public sealed record RankSlice(IndexRange Heads, IndexRange KvHeads, IndexRange Ffn, IndexRange Vocabulary);
