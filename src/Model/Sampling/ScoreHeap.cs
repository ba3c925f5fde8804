namespace LlamaCluster.Model.Sampling;

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
