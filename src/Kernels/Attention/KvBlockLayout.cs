using LlamaCluster.Primitives;

namespace LlamaCluster.Kernels.Attention;

/// <summary>
/// Where the keys and values of one block (16 positions of one sequence, in one layer) stand in memory. With G kv heads of
/// dimension E a block is G head tiles, one after the other, and a head tile is what one task of attention reads in a row:
/// <code>
/// key scales   [E/32, 16]  bfloat16, only of scaled types
/// keys         [E, 16]     transposed: a vector of 16 lanes is one dimension of 16 positions, so a score needs no horizontal sum
/// value scales [E/32, 16]  bfloat16, only of scaled types
/// values       [E'/16, 16, 16]  for 16 dimensions at a time, those of each position, to be added to the output with its weight
/// </code>
/// So both are read from front to back. Each of the four begins at a multiple of 64 bytes. E is even; E' is E rounded up to a multiple of 16, of scaled
/// types of 32; what that adds is never looked at. E need not be a multiple of 32: the last scale then covers fewer.
/// <para>
/// In F16 two vectors that follow each other share one of 32-bit lanes: in the lower half of a lane is the first one's number, in the upper half the second
/// one's. Scaled types have steps of four vectors (<see cref="IScaledKvFormat"/>): of keys dimensions 4i to 4i + 3, the first two of which are the first
/// register; of values positions 2i and 2i + 1, whose dimensions 32g to 32g + 15 are the first register and the next 16 the second: <c>[E'/32, 8]</c> steps.
/// </para>
/// </summary>
public readonly record struct KvBlockLayout(KvType Type, int KvHeads, int HeadSize)
{
    /// <summary>Neighbours of a head that share a scale in scaled types.</summary>
    public const int ScaleGroup = 32;

    /// <summary>Of each part of a head tile: a line of the cache.</summary>
    public const int Alignment = 64;

    /// <summary>Numbers are integers times scales.</summary>
    public bool IsScaled => Type is KvType.Q8_0 or KvType.Q4_0;

    /// <summary>Which arrangement of a type's bytes this is, for what outlives a process: blocks of another one are of no use.</summary>
    public static int RevisionOf(KvType type) => type == KvType.Q8_0 ? 2 : 1;

    /// <summary>Bits of one number, without scales.</summary>
    public int ElementBits => Type switch
    {
        KvType.F32 => 32,
        KvType.F16 => 16,
        KvType.Q8_0 => 8,
        KvType.Q4_0 => 4,
        _ => throw new ArgumentOutOfRangeException(nameof(Type), Type, "not a KV type"),
    };

    /// <summary>Scales that one position of one head has for its keys, and as many for its values.</summary>
    public int ScaleGroups => IsScaled ? (HeadSize + ScaleGroup - 1) / ScaleGroup : 0;

    /// <summary>E'.</summary>
    public int PaddedHeadSize => IsScaled ? ScaleGroups * ScaleGroup : (HeadSize + KvBlock.Positions - 1) / KvBlock.Positions * KvBlock.Positions;

    /// <summary>Floats that a query takes in scratch memory: E, or of scaled types [E'] numbers of 16 bits and [E/32] scales.</summary>
    public int QueryRoom => IsScaled ? (PaddedHeadSize / 2) + ScaleGroups : HeadSize;

    /// <summary>Where the keys begin in a head tile, whose first bytes are the key scales.</summary>
    public long Keys => ScaleBytes;

    public long ValueScales => Keys + NumberBytes(HeadSize);

    public long Values => ValueScales + ScaleBytes;

    /// <summary>Bytes of one kv head of one block.</summary>
    public long HeadBytes => Values + NumberBytes(PaddedHeadSize);

    /// <summary>Bytes of one block in one layer.</summary>
    public long Bytes => checked(HeadBytes * KvHeads);

    long ScaleBytes => Align((long)ScaleGroups * KvBlock.Positions * sizeof(ushort));

    /// <summary>Bytes of this many dimensions of 16 positions.</summary>
    long NumberBytes(int dimensions) => Align(checked((long)dimensions * KvBlock.Positions * ElementBits / 8));

    static long Align(long bytes) => (bytes + Alignment - 1) & -Alignment;
}
