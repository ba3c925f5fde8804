using System.Text;
using LlamaCluster.Model.Formats;
using LlamaCluster.Primitives;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// An entry of the cache: the part, row by row, as it is stored, then 512 bytes of text, filled up with zeros, that say which part of which tensor
/// it is, how long it is and what it hashes to. For as long as it is open it is in use, and no worker of this machine removes it. Safe for
/// concurrent reads.
/// </summary>
sealed class CachedTensor : IDisposable
{
    public const int TrailerBytes = 512;

    const int CheckedAtOnce = 1 << 20;

    readonly SafeFileHandle _file;

    CachedTensor(string path, TensorPart part, string hash, bool isHashed, SafeFileHandle file) =>
        (Path, Part, Hash, IsHashed, _file) = (path, part, hash, isHashed, file);

    public string Path { get; }

    public TensorPart Part { get; }

    /// <summary>The <see cref="PartHash"/> that the data must have.</summary>
    public string Hash { get; }

    /// <summary>The data were hashed as this process wrote them.</summary>
    public bool IsHashed { get; }

    /// <exception cref="IOException">The file cannot be opened, or is being removed.</exception>
    public static CachedTensor Open(string path, TensorPart part, string hash, bool isHashed = false) =>
        new(path, part, hash, isHashed, File.OpenHandle(path, options: FileOptions.SequentialScan, share: FileShare.Read | FileShare.Delete));

    public static byte[] Trailer(TensorPart part, string hash)
    {
        var (tensor, trailer) = (part.Tensor, new byte[TrailerBytes]);
        var text = $"llamacluster part 2\n{tensor.Name} {(int)tensor.Type} {tensor.Rows} {tensor.Columns}\n"
            + $"{part.FirstRow} {part.RowCount} {part.FirstColumn} {part.ColumnCount}\n{part.Bytes}\n{hash}\n";
        Encoding.UTF8.GetBytes(text, trailer);
        return trailer;
    }

    /// <summary>Null if the entry says that it is what it should be. Else what is wrong. Does not read the data.</summary>
    public string? TrailerProblem()
    {
        var expected = Part.Bytes + TrailerBytes;
        var length = RandomAccess.GetLength(_file);
        if (length != expected) return $"{length} bytes, not {expected}";
        var trailer = new byte[TrailerBytes];
        Read(Part.Bytes, trailer);
        return trailer.AsSpan().SequenceEqual(Trailer(Part, Hash)) ? null : "it says that it is something else";
    }

    /// <summary>Reads all of the data. Null if it has the right hash. Else what is wrong.</summary>
    public string? DataProblem(CancellationToken cancellation)
    {
        var buffer = new byte[CheckedAtOnce];
        using var hasher = new PartHasher(Part);
        for (long done = 0; done < Part.Bytes;)
        {
            cancellation.ThrowIfCancellationRequested();
            var piece = buffer.AsSpan(0, (int)Math.Min(buffer.Length, Part.Bytes - done));
            Read(done, piece);
            hasher.Append(piece);
            done += piece.Length;
        }
        return hasher.Finish() == Hash ? null : "the hash does not agree";
    }

    /// <param name="wanted">A part of the same tensor. It must be within this part.</param>
    public void ReadPart(TensorPart wanted, Span<byte> destination)
    {
        wanted.Check(destination.Length);
        if (!Part.Contains(wanted))
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
