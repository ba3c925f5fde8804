using System.Runtime.InteropServices;

namespace LlamaCluster.Model.Sampling;

/// <summary>An id as it travels between ranks, 12 bytes, little-endian.</summary>
/// <param name="Id">-1: none.</param>
/// <param name="Score">After penalties, bias and mask.</param>
/// <param name="Logit">As the model gave it.</param>
[StructLayout(LayoutKind.Sequential, Pack = 4)]
readonly record struct ScoredId(int Id, float Score, float Logit)
{
    public static ScoredId None { get; } = new(-1, float.NegativeInfinity, float.NegativeInfinity);
}
