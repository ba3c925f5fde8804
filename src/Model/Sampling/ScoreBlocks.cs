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

/// <summary>
/// Ids and their scores, first in the order they were added; then, as far as asked for, best first (of equal scores the lowest id). Finding
/// the best m of n takes n + m log n comparisons. Memory for the whole vocabulary is allocated once.
/// </summary>
sealed class ScoreHeap(int vocabularySize)
{
    // Not yet ranked ones are a heap from the front, whose best is taken to the back; so the ranked ones stand there, best last.
    readonly int[] _ids = new int[vocabularySize];
    readonly float[] _scores = new float[vocabularySize];

    public int Count { get; private set; }

    /// <summary>How many have been ranked.</summary>
    public int Ranked { get; private set; }

    public ReadOnlySpan<float> Scores => _scores.AsSpan(0, Count);

    public int Id(int index) => _ids[index];

    public void Clear() => (Count, Ranked) = (0, 0);

    public void Add(int id, float score)
    {
        _ids[Count] = id;
        _scores[Count++] = score;
    }

    /// <summary>Makes ready for <see cref="RankNext"/>; the order of adding is lost.</summary>
    public void Heapify()
    {
        for (var i = (Count / 2) - 1; i >= 0; i--) SiftDown(i, Count);
    }

    /// <summary>The best one that has not been ranked; there must be one.</summary>
    public (int Id, float Score) RankNext()
    {
        var last = Count - ++Ranked;
        (_ids[0], _ids[last]) = (_ids[last], _ids[0]);
        (_scores[0], _scores[last]) = (_scores[last], _scores[0]);
        SiftDown(0, last);
        return (_ids[last], _scores[last]);
    }

    /// <summary>The one that was ranked <paramref name="rank"/>-th, from 0.</summary>
    public (int Id, float Score) OfRank(int rank) => (_ids[Count - 1 - rank], _scores[Count - 1 - rank]);

    void SiftDown(int i, int end)
    {
        while (true)
        {
            var child = (2 * i) + 1;
            if (child >= end) return;
            if (child + 1 < end && Better(child + 1, child)) child++;
            if (!Better(child, i)) return;
            (_ids[i], _ids[child]) = (_ids[child], _ids[i]);
            (_scores[i], _scores[child]) = (_scores[child], _scores[i]);
            i = child;
        }
    }

    bool Better(int a, int b) => _scores[a] > _scores[b] || (_scores[a] == _scores[b] && _ids[a] < _ids[b]);
}
