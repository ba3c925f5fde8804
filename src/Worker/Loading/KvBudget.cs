using LlamaCluster.Primitives;

namespace LlamaCluster.Worker.Loading;

/// <summary>How many KV blocks a worker holds.</summary>
static class KvBudget
{
    /// <summary>Sequences of full length for which blocks are made when the worker decides: more would only take memory from others.</summary>
    const int MostSequences = 64;

    /// <param name="memory">Bytes that the worker may use.</param>
    /// <param name="taken">Bytes of weights and buffers.</param>
    /// <param name="blockBytes">One block over all of the shard's layers.</param>
    /// <param name="wanted">Null: as many as fit.</param>
    /// <returns>As many as wanted, or as fit if that is less; 0 and, in one line, the arithmetic, where not one fits.</returns>
    public static (int Blocks, string? Problem) Decide(long memory, long taken, long blockBytes, int? wanted, int maxSequenceLength)
    {
        var fit = Math.Max(0, memory - taken) / blockBytes;
        if (fit == 0)
            return (0, $"{taken} bytes of weights and buffers and one KV block of {blockBytes} bytes do not fit in the {memory} bytes this worker may use");
        var perSequence = ((long)maxSequenceLength + KvBlock.Positions - 1) / KvBlock.Positions;
        return ((int)Math.Min(fit, wanted ?? Math.Min(perSequence * MostSequences, int.MaxValue)), null);
    }
}
