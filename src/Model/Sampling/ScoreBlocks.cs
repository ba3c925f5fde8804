using LlamaCluster.Kernels.Elementwise;

namespace LlamaCluster.Model.Sampling;

/// <summary>
/// The greatest score of every 256 ids. With it the best of a large vocabulary are found without sorting it: the k-th greatest of the
/// maxima is a score that at least k ids reach, and blocks with a lesser maximum need not be looked at.
/// </summary>
sealed class ScoreBlocks(int vocabularySize)
{
    const int BlockSize = 256;

    readonly float[] _maxima = new float[(vocabularySize + BlockSize - 1) / BlockSize];
    readonly float[] _sorted = new float[(vocabularySize + BlockSize - 1) / BlockSize];

    /// <summary>The greatest score of all.</summary>
    public float Max { get; private set; }

    public void Set(ReadOnlySpan<float> scores)
    {
        for (var block = 0; block < _maxima.Length; block++) _maxima[block] = Softmax.Max(Of(block, scores));
        Max = Softmax.Max(_maxima);
    }

    /// <summary>The lowest id with the greatest score.</summary>
    public int ArgMax(ReadOnlySpan<float> scores)
    {
        var block = Array.IndexOf(_maxima, Max);
        return (block * BlockSize) + Of(block, scores).IndexOf(Max);
    }

    /// <summary>A score that at least <paramref name="k"/> ids reach, if there are so many.</summary>
    public float ReachedBy(int k)
    {
        if (k > _maxima.Length) return float.NegativeInfinity;
        _maxima.CopyTo(_sorted, 0);
        Array.Sort(_sorted);
        return _sorted[^k];
    }

    /// <summary>Takes all ids whose score is at least <paramref name="floor"/>, in order; none whose score is -infinity.</summary>
    public void Collect(ReadOnlySpan<float> scores, float floor, ScoreHeap candidates)
    {
        floor = MathF.Max(floor, float.MinValue);
        for (var block = 0; block < _maxima.Length; block++)
        {
            if (_maxima[block] < floor) continue;
            var ofBlock = Of(block, scores);
            for (var i = 0; i < ofBlock.Length; i++)
                if (ofBlock[i] >= floor) candidates.Add((block * BlockSize) + i, ofBlock[i]);
        }
    }

    static ReadOnlySpan<float> Of(int block, ReadOnlySpan<float> scores) =>
        scores[(block * BlockSize)..Math.Min((block + 1) * BlockSize, scores.Length)];
}
