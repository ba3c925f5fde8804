using BenchmarkDotNet.Attributes;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Benchmarks;

/// <summary>Stored rows to the packed layout, on one thread, as at load.</summary>
[MemoryDiagnoser]
public class PackBenchmarks
{
    const int Rows = 256, Columns = 4096;

    PackedMatrix _weights = null!;
    byte[] _stored = [];
    float[] _row = [];

    [Params(TensorType.Q4_0, TensorType.Q8_0, TensorType.Q4_K, TensorType.Q6_K, TensorType.F16)]
    public TensorType Type { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _weights = new PackedMatrix(Type, Rows, Columns);
        _stored = new byte[Rows * Type.RowBytes(Columns)];
        _row = new float[Columns];
    }

    [Benchmark]
    public void Pack() => _weights.Pack(0, _stored);

    [Benchmark]
    public void DecodeRow() => _weights.DecodeRow(Rows / 2, _row);

    [GlobalCleanup]
    public void Cleanup() => _weights.Dispose();
}
