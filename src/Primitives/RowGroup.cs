namespace LlamaCluster.Primitives;

/// <summary>Rows of a matrix that are packed together, so that one vector lane computes one of them.</summary>
public static class RowGroup
{
    /// <summary>Rows of a group. Ranks divide a vocabulary at multiples of this.</summary>
    public const int Rows = 16;
}
