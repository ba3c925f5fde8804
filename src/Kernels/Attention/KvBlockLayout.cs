using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Where the keys and values of one block (16 positions of one sequence, in one layer) stand in memory. With G kv heads of
/// dimension E a block is G head tiles, one after the other, and a head tile is what one task of attention reads in a row:
/// <code>
/// key scales   [E/32, 16]  bfloat16, only Q8_0
/// keys         [E, 16]     transposed: a vector of 16 lanes is one dimension of 16 positions, so a score needs no horizontal sum
/// value scales [E/32, 16]  bfloat16, only Q8_0
/// values       [E'/16, 16, 16]  for 16 dimensions at a time, those of each position, to be added to the output with its weight
/// </code>
/// So both are read from front to back. Each of the four begins at a multiple of 64 bytes. E is even; E' is E rounded up to a multiple of 16;
/// what that adds is never looked at. E need not be a multiple of 32 either: the last scale then covers fewer. In F16 two vectors that follow
/// each other share one of 32-bit lanes: in the lower half of a lane is the first one's number, in the upper half the second one's.
/// </summary>
public readonly record struct KvBlockLayout(KvType Type, int KvHeads, int HeadSize)
{
    /// <summary>Neighbours of a head that share a scale in <see cref="KvType.Q8_0"/>.</summary>
    public const int ScaleGroup = 32;

    const int Alignment = 64;

    public int ElementBytes => Type switch
    {
        KvType.F32 => sizeof(float),
        KvType.F16 => sizeof(ushort),
        KvType.Q8_0 => sizeof(sbyte),
        _ => throw new ArgumentOutOfRangeException(nameof(Type), Type, "not a KV type"),
    };

    /// <summary>Scales that one position of one head has for its keys, and as many for its values.</summary>
    public int ScaleGroups => Type == KvType.Q8_0 ? (HeadSize + ScaleGroup - 1) / ScaleGroup : 0;

    /// <summary>E'.</summary>
    public int PaddedHeadSize => (HeadSize + KvBlock.Positions - 1) / KvBlock.Positions * KvBlock.Positions;

    /// <summary>Where the keys begin in a head tile, whose first bytes are the key scales.</summary>
    public long Keys => ScaleBytes;

    public long ValueScales => Keys + Align(checked((long)HeadSize * KvBlock.Positions * ElementBytes));

    public long Values => ValueScales + ScaleBytes;

    /// <summary>Bytes of one kv head of one block.</summary>
    public long HeadBytes => Values + Align(checked((long)PaddedHeadSize * KvBlock.Positions * ElementBytes));

    /// <summary>Bytes of one block in one layer.</summary>
    public long Bytes => checked(HeadBytes * KvHeads);

    long ScaleBytes => Align((long)ScaleGroups * KvBlock.Positions * sizeof(ushort));

    static long Align(long bytes) => (bytes + Alignment - 1) & -Alignment;
}
