using System.Numerics;

namespace LlamaCluster.Worker.Links;

/// <summary>The encoded output of one step on its way out. Grows to what the largest step needed, and is used again and again.</summary>
sealed class SendBuffer
{
    byte[] _bytes = [];

    public ulong StepId { get; private set; }

    public int Rows { get; private set; }

    /// <summary>Makes room for a step.</summary>
    public Span<byte> Begin(ulong stepId, int rows, int rowBytes)
    {
        (StepId, Rows) = (stepId, rows);
        var length = checked(rows * rowBytes);
        if (_bytes.Length < length) _bytes = GC.AllocateUninitializedArray<byte>((int)Math.Min(BitOperations.RoundUpToPowerOf2((uint)length), (uint)Array.MaxLength));
        return _bytes.AsSpan(0, length);
    }

    public ReadOnlyMemory<byte> RowsFrom(int first, int count, int rowBytes) => _bytes.AsMemory(first * rowBytes, count * rowBytes);
}
