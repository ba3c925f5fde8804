using System.Globalization;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Measuring;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Benchmarks;

/// <summary>
/// How fast one row reads the keys and values of a long context, and more than any cache holds of them, as a part of plain reads of memory that take turns
/// with it (docs/engine-speed.md).
/// </summary>
static class KvReads
{
    const long Bytes = 512 << 20;

    const int Rounds = 21;

    const int ChunkRows = 128;

    public static void Print(TextWriter output)
    {
        foreach (var (heads, kvHeads, headSize) in new[] { (32, 8, 128), (128, 8, 128), (32, 4, 64) })
        {
            foreach (var context in new[] { 4096, 16384 })
            {
                foreach (var type in new[] { KvType.F16, KvType.Q8_0, KvType.Q4_0 })
                {
                    foreach (var threads in new[] { 2, 1 })
                    {
                        var fractions = Fractions(new KvBlockLayout(type, kvHeads, headSize), heads, context, threads);
                        output.WriteLine(
                            Text($"{heads} heads of {headSize} on {kvHeads}, {context} positions, {type}, {threads} thread(s): ")
                            + Text($"{fractions[Rounds / 2]:0.00} ({fractions[0]:0.00} to {fractions[^1]:0.00})"));
                    }
                }
            }
        }
    }

    /// <summary>In order.</summary>
    static List<double> Fractions(KvBlockLayout layout, int heads, int context, int threadCount)
    {
        var layers = (int)(Bytes / (layout.Bytes * (context / KvBlock.Positions)));
        using var threads = new ComputeThreads(threadCount);
        using var pool = new KvPool(layout, layers, context / KvBlock.Positions);
        using var attention = new PagedAttention(pool, heads, ChunkRows, context, threadCount);
        using var memory = new MemoryBandwidth(threads, Bytes);
        int[] blocks = [.. Enumerable.Range(0, context / KvBlock.Positions)];
        var numbers = new float[ChunkRows * heads * layout.HeadSize];
        var random = new Random(1);
        foreach (ref var number in numbers.AsSpan()) number = random.NextSingle() - 0.5f;
        var stored = numbers.AsSpan(0, ChunkRows * layout.KvHeads * layout.HeadSize);
        for (var start = 0; start < context; start += ChunkRows)
        {
            attention.Begin([new AttentionChunk(0, ChunkRows, start, blocks)]);
            for (var layer = 0; layer < layers; layer++) attention.Store(threads, layer, stored, stored);
        }

        attention.Begin([new AttentionChunk(0, 1, context - 1, blocks)]);
        var queries = numbers.AsSpan(0, heads * layout.HeadSize);
        var output = new float[queries.Length];
        List<double> fractions = [];
        for (var round = 0; round < Rounds; round++)
        {
            var begun = TimeProvider.System.GetTimestamp();
            for (var layer = 0; layer < layers; layer++) attention.Attend(threads, layer, queries, output);
            var attending = TimeProvider.System.GetElapsedTime(begun);
            fractions.Add(layout.Bytes * blocks.Length * layers / attending.TotalSeconds / (Bytes / memory.Pass().TotalSeconds));
        }
        fractions.Sort();
        return fractions;
    }

    static string Text(FormattableString text) => text.ToString(CultureInfo.InvariantCulture);
}
