using System.Numerics;
using System.Runtime.InteropServices;

namespace LlamaCluster.Fuzz.Tests.Campaigns;

/// <summary>
/// Which branches a run took, and about how often: a byte for each edge between two blocks of code, by AFL's method
/// (https://lcamtuf.coredump.cx/afl/technical_details.txt). The instrumented code writes to it, of whatever thread.
/// </summary>
sealed unsafe class CoverageMap
{
    const int Size = 1 << 16;

    /// <summary>It stays: a thread of the code that was tried may still write to it.</summary>
    readonly byte* _edges = (byte*)NativeMemory.AllocZeroed(Size);
    readonly byte[] _known = new byte[Size];

    public CoverageMap() => SharpFuzz.Common.Trace.SharedMem = _edges;

    /// <summary>Edges that any run took.</summary>
    public int Edges => _known.Count(known => known != 0);

    /// <summary>To be called before a run.</summary>
    public void Begin()
    {
        new Span<byte>(_edges, Size).Clear();
        SharpFuzz.Common.Trace.PrevLocation = 0;
    }

    /// <summary>Whether the run went where none went before, or about so often; that is known from now on.</summary>
    public bool Learn()
    {
        var words = new ReadOnlySpan<ulong>(_edges, Size / sizeof(ulong));
        var isNew = false;
        for (var word = 0; word < words.Length; word++)
        {
            if (words[word] == 0) continue;
            for (var at = word * sizeof(ulong); at < (word + 1) * sizeof(ulong); at++)
            {
                if (_edges[at] == 0) continue;
                // 1, 2 to 3, 4 to 7 and so on are about as often.
                var bucket = (byte)(1 << BitOperations.Log2(_edges[at]));
                if ((_known[at] & bucket) != 0) continue;
                _known[at] |= bucket;
                isNew = true;
            }
        }
        return isNew;
    }
}
