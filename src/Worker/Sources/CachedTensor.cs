using System.Buffers.Binary;
using System.IO.Hashing;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// A file of the cache: the part, row by row, as it is stored, then 8 bytes, the magic number "LCT1" and the CRC-32C of the part, both
/// little-endian. Safe for concurrent reads.
/// </summary>
sealed class CachedTensor : IDisposable
{
    public const int TrailerBytes = 8;

    const uint Magic = 0x3154434C;
    const int CheckedAtOnce = 1 << 20;

    readonly SafeFileHandle _file;

    CachedTensor(string path, TensorPart part, SafeFileHandle file) => (Path, Part, _file) = (path, part, file);

    public string Path { get; }

    public TensorPart Part { get; }

    /// <exception cref="IOException">The file cannot be opened.</exception>
    public static CachedTensor Open(string path, TensorPart part) =>
        new(path, part, File.OpenHandle(path, options: FileOptions.SequentialScan, share: FileShare.Read | FileShare.Delete));

    public static byte[] Trailer(uint crc)
    {
        var trailer = new byte[TrailerBytes];
        BinaryPrimitives.WriteUInt32LittleEndian(trailer, Magic);
        BinaryPrimitives.WriteUInt32LittleEndian(trailer.AsSpan(sizeof(uint)), crc);
        return trailer;
    }

    /// <summary>Reads all of the file. Null if it is whole. Else what is wrong with it.</summary>
    public string? FirstProblem(CancellationToken cancellation)
    {
        var expected = Part.Bytes + TrailerBytes;
        var length = RandomAccess.GetLength(_file);
        if (length != expected) return $"{length} bytes, not {expected}";
        var buffer = new byte[CheckedAtOnce];
        var crc = new Crc32(Crc32ParameterSet.Crc32C);
        for (long done = 0; done < Part.Bytes;)
        {
            cancellation.ThrowIfCancellationRequested();
            var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, Part.Bytes - done));
            Read(done, piece);
            crc.Append(piece);
            done += piece.Length;
        }
        var trailer = new byte[TrailerBytes];
        Read(Part.Bytes, trailer);
        return trailer.AsSpan().SequenceEqual(Trailer(crc.GetCurrentHashAsUInt32())) ? null : "the checksum does not agree";
    }

    /// <param name="wanted">A part of the same tensor. It must be within this part.</param>
    public void ReadPart(TensorPart wanted, Span<byte> destination)
    {
        wanted.Check(destination.Length);
        if (wanted.FirstRow < Part.FirstRow || wanted.FirstRow + wanted.RowCount > Part.FirstRow + Part.RowCount
            || wanted.FirstColumn < Part.FirstColumn || wanted.FirstColumn + wanted.ColumnCount > Part.FirstColumn + Part.ColumnCount)
            throw new ArgumentOutOfRangeException(nameof(wanted), $"{wanted} is not within what is cached, {Part}");
        var offset = (wanted.FirstRow - Part.FirstRow) * Part.RowBytes + (wanted.BytesBefore - Part.BytesBefore);
        if (wanted.ColumnCount == Part.ColumnCount)
        {
            Read(offset, destination);
            return;
        }
        var rowBytes = (int)wanted.RowBytes;
        for (; !destination.IsEmpty; offset += Part.RowBytes, destination = destination[rowBytes..]) Read(offset, destination[..rowBytes]);
    }

    public void Dispose() => _file.Dispose();

    void Read(long offset, Span<byte> destination)
    {
        while (!destination.IsEmpty)
        {
            var count = RandomAccess.Read(_file, destination, offset);
            if (count == 0) throw new ModelFormatException($"{Path}: ends at byte {offset}, inside its data");
            offset += count;
            destination = destination[count..];
        }
    }
}
