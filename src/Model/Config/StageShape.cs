namespace LlamaCluster.Model.Config;

/// <summary>Which part of the model a stage runs: layers <c>FirstLayer .. FirstLayer + LayerCount</c> of <c>TotalLayers</c>.</summary>
public sealed record StageShape(int FirstLayer, int LayerCount, int TotalLayers)
{
    /// <summary>The first stage turns token ids into activations.</summary>
    public bool Embeds => FirstLayer == 0;

    /// <summary>The last stage turns activations into logits, and samples.</summary>
    public bool HasHead => FirstLayer + LayerCount == TotalLayers;

    /// <summary>Only these stages are told token ids.</summary>
    public bool NeedsTokens => Embeds || HasHead;

    public static StageShape Whole(int totalLayers) => new(0, totalLayers, totalLayers);
}
