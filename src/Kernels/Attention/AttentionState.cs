namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// An online softmax under way (https://arxiv.org/abs/1805.02867, with values as in https://arxiv.org/abs/2205.14135) for N queries
/// of one kv head. With s the scores seen so far: max = max s, sum = sum of e^(s - max), output = sum of e^(s - max) v.
/// </summary>
readonly unsafe struct AttentionState(float* output, float* max, float* sum)
{
    /// <summary>[N, E'] not yet divided by the sum.</summary>
    public float* Output { get; } = output;

    /// <summary>[N]</summary>
    public float* Max { get; } = max;

    /// <summary>[N]</summary>
    public float* Sum { get; } = sum;

    /// <summary>Floats that a state of N queries takes.</summary>
    public static long Length(KvBlockLayout layout, int queries) => checked((long)queries * (layout.PaddedHeadSize + 2));

    /// <summary>A state whose three parts stand one after the other.</summary>
    public static AttentionState At(float* memory, KvBlockLayout layout, int queries)
    {
        var max = memory + ((long)queries * layout.PaddedHeadSize);
        return new(memory, max, max + queries);
    }
}
