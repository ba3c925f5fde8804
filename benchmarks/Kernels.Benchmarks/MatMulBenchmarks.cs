using BenchmarkDotNet.Attributes;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Benchmarks;

/// <summary>
/// Products with matrices of a Llama's size, several in turn so that weights come from memory as they do in a model. A time is that of one product;
/// 1 row is decode, 8 batched decode, 64 prefill.
/// </summary>
[MemoryDiagnoser]
public class MatMulBenchmarks
{
    const int Rows = 4096, Columns = 4096, Matrices = 12;

    readonly PackedMatrix[] _weights = new PackedMatrix[Matrices];
    ComputeThreads _threads = null!;
    MatMulInput _input = null!;
    float[] _x = [];
    float[] _y = [];

    [Params(TensorType.Q4_0, TensorType.Q8_0, TensorType.Q4_K, TensorType.Q6_K, TensorType.F16)]
    public TensorType Type { get; set; }

    [Params(1, 8, 64)]
    public int Batch { get; set; }

    [Params(1, 2)]
    public int Threads { get; set; }

    [GlobalSetup]
    public void Setup()
    {
        _threads = new ComputeThreads(Threads);
        var stored = new byte[Rows * Type.RowBytes(Columns)];
        foreach (ref var weights in _weights.AsSpan())
        {
            weights = new PackedMatrix(Type, Rows, Columns);
            weights.Pack(0, stored);
        }

        (_x, _y) = (new float[Batch * Columns], new float[Batch * Rows]);
        Array.Fill(_x, 1);
        _input = new MatMulInput(Batch, Columns);
        _input.Set(_threads, _x, Batch, Columns);
    }

    [Benchmark(OperationsPerInvoke = Matrices)]
    public void Multiply()
    {
        foreach (var weights in _weights) MatMul.Multiply(_threads, weights, _input, _y);
    }

    [Benchmark(OperationsPerInvoke = Matrices)]
    public void SetInput()
    {
        for (var i = 0; i < Matrices; i++) _input.Set(_threads, _x, Batch, Columns);
    }

    [GlobalCleanup]
    public void Cleanup()
    {
        foreach (var weights in _weights) weights.Dispose();
        _input.Dispose();
        _threads.Dispose();
    }
}
