using BenchmarkDotNet.Attributes;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Benchmarks;

/// <summary>
/// Attention at the end of a context of 4096, of one layer with 8 kv heads of 128: one row (which reads all keys and values once, 32 MiB in F32) and
/// a chunk of 128 rows. Eight layers are taken in turn, so that none stays in cache.
/// </summary>
[MemoryDiagnoser]
public class AttentionBenchmarks
{
    const int Context = 4096, Layers = 8, KvHeads = 8, HeadSize = 128, ChunkRows = 128;

    readonly int[] _blocks = [.. Enumerable.Range(0, Context / KvBlock.Positions)];
    readonly float[] _keys = new float[ChunkRows * KvHeads * HeadSize];
    float[] _queries = [];
    float[] _output = [];
    ComputeThreads _threads = null!;
    KvPool _pool = null!;
    PagedAttention _attention = null!;
    int _layer;

    [Params(KvType.F16, KvType.F32, KvType.Q8_0)]
    public KvType Type { get; set; }

    [Params(32, 8)]
    public int Heads { get; set; }

    [Params(2, 1)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _threads = new ComputeThreads(Threads);
        _pool = new KvPool(new KvBlockLayout(Type, KvHeads, HeadSize), Layers, _blocks.Length);
        _attention = new PagedAttention(_pool, Heads, ChunkRows, Context, Threads);
        _queries = new float[ChunkRows * Heads * HeadSize];
        _output = new float[_queries.Length];
        var random = new Random(1);
        foreach (ref var key in _keys.AsSpan()) key = random.NextSingle() - 0.5f;
        foreach (ref var query in _queries.AsSpan()) query = random.NextSingle() - 0.5f;
        for (var start = 0; start < Context; start += ChunkRows)
            for (_layer = 0; _layer < Layers; _layer++) Store(start);
    }

    [Benchmark]
    public void DecodeOneRow() => Attend(1);

    [Benchmark]
    public void ReadChunk() => Attend(ChunkRows);

    [Benchmark]
    public void StoreChunk() => Store(Context - ChunkRows);

    [GlobalCleanup]
    public void Cleanup()
    {
        _attention.Dispose();
        _pool.Dispose();
        _threads.Dispose();
    }

    void Store(int start)
    {
        _attention.Begin([new AttentionChunk(0, ChunkRows, start, _blocks)]);
        _attention.Store(_threads, _layer % Layers, _keys, _keys);
    }

    void Attend(int rows)
    {
        _attention.Begin([new AttentionChunk(0, rows, Context - rows, _blocks)]);
        var length = rows * Heads * HeadSize;
        _attention.Attend(_threads, _layer++ % Layers, _queries.AsSpan(0, length), _output.AsSpan(0, length));
    }
}
