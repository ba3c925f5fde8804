using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LlamaCluster.Kernels.Attention;
using LlamaCluster.Kernels.Elementwise;
using LlamaCluster.Kernels.Products;
using LlamaCluster.Kernels.Tests.Attention;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Tests;

/// <summary>The width that a process has chosen, and a digest of what its products, its maths of rows and its attention give.</summary>
sealed record WidthReport(KernelWidth Width, string Digest)
{
    const int Rows = 35, Batch = 5;

    public static WidthReport OfThisProcess()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        using var threads = new ComputeThreads(2);
        foreach (var type in Enum.GetValues<TensorType>())
        {
            var columns = type.BlockSize() == 1 ? 77 : type.BlockSize() * 2;
            using var matrix = new PackedMatrix(type, Rows, columns);
            using var input = new MatMulInput(Batch, columns);
            matrix.Pack(0, RandomRows.Stored(type, Rows, columns, seed: 8));
            input.Set(threads, RandomRows.Activations(Batch, columns, seed: 9), Batch, columns);
            var y = new float[Batch * Rows];
            MatMul.Multiply(threads, matrix, input, y);
            hash.AppendData(MemoryMarshal.AsBytes<float>(y));
        }

        hash.AppendData(MemoryMarshal.AsBytes<float>(RowResults(threads)));
        foreach (var type in Enum.GetValues<KvType>())
        {
            var attention = new AttentionCase(type, heads: 6, kvHeads: 2, headSize: 40, lengths: [70, 3]);
            hash.AppendData(MemoryMarshal.AsBytes<float>(attention.Run(attention.Together(50), threadCount: 2)));
        }

        return new(KernelWidths.Chosen, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    static float[] RowResults(ComputeThreads threads)
    {
        const int Length = 77;
        var x = TestNumbers.Even(2 * Length, seed: 1, size: 9);
        var y = TestNumbers.Even(2 * Length, seed: 2, size: 9);
        RmsNorm.Apply(threads, x, y.AsSpan(0, Length), 1e-5f, x);
        SwiGlu.Apply(threads, y, x);
        Residual.Add(threads, x, y);
        Rope.Rotate(threads, x, heads: 7, headSize: 11, y.AsSpan(0, 20), y.AsSpan(20, 20));
        return [.. x, .. y, Softmax.SumOfExp(x, 1), Softmax.Exp(x, 1, 0.5f, x), Softmax.Max(y), .. x];
    }

    /// <summary>One line: "Avx2 12ab...".</summary>
    public override string ToString() => $"{Width} {Digest}";

    public static WidthReport Parse(string line) => line.Split(' ') is [var width, var digest] && Enum.TryParse(width, out KernelWidth parsed)
        ? new(parsed, digest.Trim())
        : throw new FormatException($"not a width report: {line}");
}
