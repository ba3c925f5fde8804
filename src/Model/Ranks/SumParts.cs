using LlamaCluster.Primitives;

namespace LlamaCluster.Model.Ranks;

/// <summary>
/// How the columns of a sum of activations [B, D] are cut into parts, each of which travels while the next is computed. Parts are begun with the
/// outputs of whole groups of rows of a matrix, and are not so small that a message costs more than it saves.
/// </summary>
/// <param name="width">D</param>
readonly struct SumParts(int width, int rows, int rankCount)
{
    /// <summary>Less than this is sent faster in one message than in two.</summary>
    const int LeastBytes = 32 * 1024;

    /// <summary>Parts start at multiples of it: a block of 32 numbers has one part, one row of a matrix's group too.</summary>
    const int Columns = 32;

    public int Count { get; } = rankCount == 1
        ? 1
        : (int)Math.Clamp((long)rows * width * sizeof(float) / LeastBytes, 1, Math.Min(IRankExchange.MaxSumsUnderWay, Math.Max(1, width / Columns)));

    public IndexRange this[int part] => new(Start(part), Start(part + 1) - Start(part));

    int Start(int part) => part == Count ? width : (int)((long)(width / Columns) * part / Count) * Columns;
}
