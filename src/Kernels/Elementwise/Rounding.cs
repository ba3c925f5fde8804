namespace LlamaCluster.Kernels.Elementwise;

/// <summary>Rounding by addition.</summary>
static class Rounding
{
    /// <summary>1.5 * 2^23: added to a small number, it leaves no room behind the point, and the nearest integer in the lowest bits.</summary>
    public const float ToInteger = 12582912;
}
