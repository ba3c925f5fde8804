using System.Runtime.CompilerServices;
using System.Runtime.Intrinsics.X86;

namespace LlamaCluster.Kernels;

/// <summary>
/// What one waiting thread fetches into its cache: the weights that its part of the next product begins with. Between two products little is computed,
/// mostly by one thread; memory would lie idle meanwhile.
/// </summary>
unsafe struct ReadAhead
{
    /// <summary>A fraction of a core's second cache, and about what memory gives in the time between two products.</summary>
    const int MaxBytes = 256 * 1024;

    const int LineBytes = 64;
    const int LinesAtOnce = 8;

    byte* _begin;
    byte* _next;

    /// <summary>Fetches a little more of what begins at <paramref name="begin"/>.</summary>
    /// <param name="begin">Null: nothing. An address that is not valid any more does no harm.</param>
    /// <returns>False if there is nothing left to fetch.</returns>
    [MethodImpl(MethodImplOptions.AggressiveInlining)]
    public bool Continue(byte* begin)
    {
        if (begin is null || !Sse.IsSupported) return false;
        if (begin != _begin) _begin = _next = begin;
        if (_next >= begin + MaxBytes) return false;
        for (var i = 0; i < LinesAtOnce; i++, _next += LineBytes) Sse.Prefetch1(_next);
        return true;
    }
}
