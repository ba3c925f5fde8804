using LlamaCluster.Kernels.Formats;
using LlamaCluster.Kernels.Lanes;
using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.MachineCode;

/// <summary>
/// Machine code for AVX-512 VNNI: a group of weights meets one row of activations, or many, for the types that large models mostly have. With one row a product
/// waits for memory; the fewer instructions stand between two loads, the more loads the processor has under way. With more it is arithmetic that takes
/// time, and codes that are unpacked stay in registers for all of them. A function does what <see cref="Terms{TLanes, V}"/> does, in the same order, after
/// sums of integers that are exact.
/// <para>The code is what an assembler makes of the listing in the tests (RowDotsListing), which they compare byte for byte.</para>
/// </summary>
static unsafe partial class RowDots
{
    /// <summary>From one function to the next.</summary>
    const int FunctionBytes = 2048;

    static readonly TensorType[] TypesOfPlanes = [TensorType.Q4_0, TensorType.Q8_0, TensorType.Q4_K, TensorType.Q5_K, TensorType.Q6_K, TensorType.IQ4_XS];
    static readonly TensorType[] TypesOfBooks = [TensorType.IQ2_XXS, TensorType.IQ2_XS, TensorType.IQ2_S, TensorType.IQ3_XXS, TensorType.IQ3_S];

    /// <summary>The types that there are functions for.</summary>
    public static IReadOnlyList<TensorType> Types { get; } = [.. TypesOfPlanes, .. TypesOfBooks];

    /// <summary>For one row in the order of the types, then for many.</summary>
    static readonly byte* Code = CodePages.Load([.. new[] { false, true }.SelectMany(many => Types.Select(type => Bytes(type, many)))], FunctionBytes);

    /// <summary>This processor, which has VNNI, runs the functions of a type; those of types with code books want AVX-512 VBMI too.</summary>
    public static bool IsSupported(TensorType type) => TypesOfPlanes.Contains(type) || TypesOfBooks.Contains(type) && GridLanes512.IsSupported;

    /// <summary>
    /// What computes totals[1, 16] = x[1, C] . w[16, C]^T, or, for many rows, totals[B, 16] += x[B, C] . w[16, C]^T. It takes w's group, packed; x's blocks,
    /// those of one place of all rows one after the other; totals; the number of headers in the group; B; and <see cref="GridTables512"/>. Only where
    /// <see cref="CodePages.IsSupported"/> and <see cref="IsSupported"/>.
    /// </summary>
    public static delegate* unmanaged<byte*, ActivationBlock*, float*, nint, nint, byte*, void> For(TensorType type, bool manyRows)
    {
        for (var i = 0; i < Types.Count; i++)
        {
            if (Types[i] != type) continue;
            var code = Code + (manyRows ? Types.Count + i : i) * FunctionBytes;
            return (delegate* unmanaged<byte*, ActivationBlock*, float*, nint, nint, byte*, void>)code;
        }
        throw new ArgumentOutOfRangeException(nameof(type), type, "there is no machine code for it");
    }
}
