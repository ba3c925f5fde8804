namespace LlamaCluster.Model.Formats.Quantization;

/// <summary>The arithmetic of scales that block types share.</summary>
static class BlockScale
{
    /// <summary>1 / scale, or 0 where the scale is so small that there is none: all of the block's values are then stored as 0.</summary>
    public static float Inverse(float scale) => scale != 0 && 1 / scale is var inverse && float.IsFinite(inverse) ? inverse : 0;
}
