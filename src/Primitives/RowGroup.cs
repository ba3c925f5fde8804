namespace LlamaCluster.Primitives;

/// <summary>Rows of a matrix that are packed together, so that one vector lane computes one of them.</summary>
public static class RowGroup
{
    /// <summary>Rows of a group. A tensor group divides a vocabulary at multiples of it.</summary>
    public const int Rows = 16;
}
