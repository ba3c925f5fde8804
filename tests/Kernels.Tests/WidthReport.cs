using System.Runtime.InteropServices;
using System.Security.Cryptography;
using LlamaCluster.Kernels;

namespace LlamaCluster.Kernels.Tests;

/// <summary>The width that a process has chosen, and a digest of what its products give.</summary>
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

        return new(KernelWidths.Chosen, Convert.ToHexStringLower(hash.GetHashAndReset()));
    }

    /// <summary>One line: "Avx2 12ab...".</summary>
    public override string ToString() => $"{Width} {Digest}";

    public static WidthReport Parse(string line) => line.Split(' ') is [var width, var digest] && Enum.TryParse(width, out KernelWidth parsed)
        ? new(parsed, digest.Trim())
        : throw new FormatException($"not a width report: {line}");
}
