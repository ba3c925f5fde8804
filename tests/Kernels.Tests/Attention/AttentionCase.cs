using LlamaCluster.Kernels.Attention;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests.Attention;

/// <summary>
/// Sequences with random queries, keys and values, whose attention can be computed in any number of steps, chunks and threads, and in plain
/// double precision. The pool is full of NaN before anything is stored, and blocks are given out in random order.
/// </summary>
sealed unsafe class AttentionCase
{
    readonly KvBlockLayout _layout;
    readonly int _heads;
    readonly int[] _lengths;
    readonly float[][] _queries; // per sequence [T, H, E]
    readonly float[][] _keys;    // [T, G, E]
    readonly float[][] _values;  // [T, G, E]
    readonly int[][] _blocks;

    public AttentionCase(KvType type, int heads, int kvHeads, int headSize, params int[] lengths)
    {
        (_layout, _heads, _lengths) = (new(type, kvHeads, headSize), heads, lengths);
        _queries = [.. lengths.Select((t, s) => TestNumbers.Even(t * heads * headSize, 10 + s, 2))];
        _keys = [.. lengths.Select((t, s) => TestNumbers.Even(t * kvHeads * headSize, 20 + s, 2))];
        _values = [.. lengths.Select((t, s) => TestNumbers.Even(t * kvHeads * headSize, 30 + s, 2))];
        var ids = Enumerable.Range(0, lengths.Sum(BlocksOf)).ToArray();
        new Random(5).Shuffle(ids);
        var next = 0;
        _blocks = [.. lengths.Select(t => ids[next..(next += BlocksOf(t))])];
    }

    /// <summary>What every row sees; all positions by default.</summary>
    public AttentionWindow Window { get; init; }

    int RowLength => _heads * _layout.HeadSize;

    int KvRowLength => _layout.KvHeads * _layout.HeadSize;

    /// <summary>Each sequence in chunks of this size; step i has the i-th chunk of every sequence that still has one.</summary>
    public IReadOnlyList<(int Sequence, int Start, int Count)[]> Together(int chunk) =>
    [
        .. Enumerable.Range(0, (_lengths.Max() + chunk - 1) / chunk).Select(step => Enumerable.Range(0, _lengths.Length)
            .Where(s => step * chunk < _lengths[s])
            .Select(s => (s, step * chunk, Math.Min(chunk, _lengths[s] - (step * chunk)))).ToArray()),
    ];

    /// <summary>One sequence after the other, each as a whole.</summary>
    public IReadOnlyList<(int Sequence, int Start, int Count)[]> Alone() => [.. _lengths.Select((t, s) => new[] { (s, 0, t) })];

    /// <summary>Outputs of all sequences, one after the other: [T, H, E] each.</summary>
    public float[] Run(IReadOnlyList<(int Sequence, int Start, int Count)[]> steps, int threadCount)
    {
        using var threads = new ComputeThreads(threadCount);
        using var pool = new KvPool(_layout, layers: 2, blocks: _blocks.Sum(b => b.Length));
        for (var layer = 0; layer < pool.Layers; layer++) new Span<byte>(pool.HeadTile(layer, 0, 0), (int)(pool.Bytes / pool.Layers)).Fill(0xFF);
        using var attention = new PagedAttention(pool, _heads, maxRows: steps.Max(step => step.Sum(c => c.Count)), _lengths.Max(), threadCount, Window);
        var outputs = _lengths.Select(t => new float[t * RowLength]).ToArray();
        foreach (var step in steps)
        {
            attention.Begin(Chunks(step));
            Assert.True(attention.Store(threads, layer: 1, Rows(step, _keys, KvRowLength), Rows(step, _values, KvRowLength)));
            var output = new float[step.Sum(c => c.Count) * RowLength];
            attention.Attend(threads, layer: 1, Rows(step, _queries, RowLength), output, inWindow: Window.Positions > 0);
            var row = 0;
            foreach (var (sequence, start, count) in step)
            {
                output.AsSpan(row * RowLength, count * RowLength).CopyTo(outputs[sequence].AsSpan(start * RowLength));
                row += count;
            }
        }
        return [.. outputs.SelectMany(o => o)];
    }

    /// <summary>What <see cref="Run"/> should give, in double precision and from numbers that were not stored anywhere.</summary>
    public float[] Exact() => [.. Enumerable.Range(0, _lengths.Length).SelectMany(s =>
        from position in Enumerable.Range(0, _lengths[s])
        from head in Enumerable.Range(0, _heads)
        from number in Exact(s, position, head)
        select number)];

    IEnumerable<float> Exact(int sequence, int position, int head)
    {
        var size = _layout.HeadSize;
        var kvHead = head / (_heads / _layout.KvHeads);
        var query = _queries[sequence].AsSpan((position * RowLength) + (head * size), size);
        var first = Window switch
        {
            { Positions: 0 } => 0,
            { Slides: true } => Math.Max(0, position - Window.Positions + 1),
            _ => position / Window.Positions * Window.Positions,
        };
        var weights = new double[position + 1 - first];
        for (var p = first; p <= position; p++)
            for (var e = 0; e < size; e++) weights[p - first] += query[e] * (double)_keys[sequence][(p * KvRowLength) + (kvHead * size) + e] / Math.Sqrt(size);
        var max = weights.Max();
        for (var i = 0; i < weights.Length; i++) weights[i] = Math.Exp(weights[i] - max);
        var sum = weights.Sum();
        return Enumerable.Range(0, size).Select(e =>
            (float)weights.Select((w, i) => w / sum * _values[sequence][((first + i) * KvRowLength) + (kvHead * size) + e]).Sum());
    }

    AttentionChunk[] Chunks((int Sequence, int Start, int Count)[] step)
    {
        var row = 0;
        return [.. step.Select(c => new AttentionChunk((row += c.Count) - c.Count, c.Count, c.Start, _blocks[c.Sequence]))];
    }

    static float[] Rows((int Sequence, int Start, int Count)[] step, float[][] numbers, int length) =>
        [.. step.SelectMany(c => numbers[c.Sequence].Skip(c.Start * length).Take(c.Count * length))];

    static int BlocksOf(int positions) => (positions + KvBlock.Positions - 1) / KvBlock.Positions;
}
