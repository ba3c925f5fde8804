using LlamaCluster.Cluster.Activations;
using LlamaCluster.Model.Config;
using LlamaCluster.Primitives;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>How many KV blocks a worker holds, and how many rows a step may bring.</summary>
static class ShardLimits
{
    /// <summary>Sequences of full length for which a worker makes blocks when it decides itself. More would only take memory from others.</summary>
    const int MaxSequences = 64;

    /// <param name="memory">Bytes that the worker may use.</param>
    /// <param name="taken">Bytes of weights and buffers.</param>
    /// <param name="blockBytes">One block over all of the shard's layers; 0 where none of them has attention.</param>
    /// <param name="wanted">Null: as many as fit.</param>
    /// <returns>As many as wanted, or as fit if that is less. Where not one fits: 0 and, in one line, the arithmetic.</returns>
    public static (int Blocks, string? Problem) KvBlocks(long memory, long taken, long blockBytes, int? wanted, int maxSequenceLength)
    {
        var left = Math.Max(0, memory - taken);
        var fit = blockBytes > 0 ? left / blockBytes : left > 0 ? int.MaxValue : 0;
        if (fit == 0)
            return (0, $"{taken} bytes of weights and buffers and one KV block of {blockBytes} bytes do not fit in the {memory} bytes this worker may use");
        var perSequence = ((long)maxSequenceLength + KvBlock.Positions - 1) / KvBlock.Positions;
        return ((int)Math.Min(fit, wanted ?? Math.Min(perSequence * MaxSequences, int.MaxValue)), null);
    }

    /// <summary>The most rows of a step whose numbers, and their bytes on the way to the next stage, still fit in one span.</summary>
    /// <param name="type">How activations travel.</param>
    public static int StepRows(LlamaConfig config, ActivationType type)
    {
        var widest = Math.Max(config.HiddenSize, Math.Max((long)config.HeadCount * config.HeadSize, Math.Max(config.FfnSize, config.Experts?.FfnSize ?? 0)));
        return (int)Math.Min(int.MaxValue / widest, Array.MaxLength / ActivationCodec.RowBytes(type, config.HiddenSize));
    }
}
