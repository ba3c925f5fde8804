using System.Runtime.InteropServices;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels;

/// <summary>
/// Functions of machine code for AVX-512 VNNI (Linux on x64), which .NET 10 has no intrinsics for. They lie in pages that are written first and executable
/// then, never both, and that stay until the process ends.
/// </summary>
static unsafe class CodePages
{
    /// <summary>AVX512_VNNI in ECX of leaf 7.</summary>
    const int VnniBit = 11;

    const byte Return = 0xc3;

    /// <summary>The processor and the system have the instructions, and the system lets this process make memory executable.</summary>
    public static bool IsSupported { get; } = HasInstructions() && TryLoad([[Return]], 1) is not null;

    /// <summary>Where the first function is; null if <see cref="IsSupported"/> is not.</summary>
    /// <param name="functionBytes">From the beginning of one function to that of the next.</param>
    /// <exception cref="OutOfMemoryException">The system has no memory for them.</exception>
    public static byte* Load(IReadOnlyList<byte[]> functions, int functionBytes)
    {
        if (!IsSupported) return null;
        var pages = TryLoad(functions, functionBytes);
        return pages is not null ? pages : throw new OutOfMemoryException("the system has no memory for machine code");
    }

    static bool HasInstructions() =>
        OperatingSystem.IsLinux() && RuntimeInformation.ProcessArchitecture == Architecture.X64 && Avx512BW.IsSupported
        && (X86Base.CpuId(7, 0).Ecx >> VnniBit & 1) != 0;

    static byte* TryLoad(IReadOnlyList<byte[]> functions, int functionBytes)
    {
        var bytes = (nuint)(functions.Count * functionBytes);
        var pages = LinuxMemory.Map(bytes);
        if (pages is null) return null;
        for (var i = 0; i < functions.Count; i++) functions[i].CopyTo(new Span<byte>(pages + i * functionBytes, functionBytes));
        if (LinuxMemory.Protect(pages, bytes, LinuxMemory.Read | LinuxMemory.Execute) == 0) return pages;
        _ = LinuxMemory.Unmap(pages, bytes);
        return null;
    }
}
