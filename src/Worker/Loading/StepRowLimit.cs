using LlamaCluster.Cluster.Activations;
using LlamaCluster.Model.Config;
using LlamaCluster.Protos;

namespace LlamaCluster.Worker.Loading;

/// <summary>How many rows a step may bring before its numbers, or their bytes on the way to the next stage, are more than one span holds.</summary>
static class StepRowLimit
{
    /// <param name="type">How activations travel.</param>
    public static int Of(LlamaConfig config, ActivationType type)
    {
        var widest = Math.Max(config.HiddenSize, Math.Max((long)config.HeadCount * config.HeadSize, config.FfnSize));
        return (int)Math.Min(int.MaxValue / widest, Array.MaxLength / ActivationCodec.RowBytes(type, config.HiddenSize));
    }
}
