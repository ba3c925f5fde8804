using LlamaCluster.Model.Formats;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Writes an entry of the cache under a temporary name, and gives it its real name when it is whole. So another worker on this machine never sees
/// half an entry. When two workers write the same one, the later replaces the earlier with the same content.
/// </summary>
sealed class CacheWriter : IDisposable
{
    readonly Func<string, string> _name;
    readonly string _temporary;
    readonly SafeFileHandle _file;
    readonly PartHasher _hasher;
    string? _hash;

    public CacheWriter(string temporary, TensorPart part, Func<string, string> name)
    {
        (_temporary, Part, _name, _hasher) = (temporary, part, name, new PartHasher(part));
        _file = File.OpenHandle(_temporary, FileMode.CreateNew, FileAccess.Write, FileShare.Read | FileShare.Delete);
    }

    public TensorPart Part { get; }

    /// <summary>Bytes written so far.</summary>
    public long Length { get; private set; }

    /// <summary>The <see cref="PartHash"/> of what was written, which must be all of the part.</summary>
    public string Hash => Length == Part.Bytes
        ? _hash ??= _hasher.Finish()
        : throw new InvalidOperationException($"{Length} of {Part.Bytes} bytes of {Part.Tensor.Name} are written");

    public async ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation)
    {
        var written = RandomAccess.WriteAsync(_file, data, Length, cancellation);
        _hasher.Append(data.Span);   // meanwhile
        await written;
        Length += data.Length;
    }

    /// <summary>
    /// Ends an entry that has all its bytes: writes the trailer, and names it by the hash of what was written, not by one that anyone says.
    /// </summary>
    public CachedTensor Commit()
    {
        RandomAccess.Write(_file, CachedTensor.Trailer(Part, Hash), Length);
        _file.Dispose();
        var path = _name(Hash);
        File.Move(_temporary, path, overwrite: true);
        return CachedTensor.Open(path, Part, Hash, isHashed: true);
    }

    /// <summary>Deletes the file if it was not committed.</summary>
    public void Dispose()
    {
        _hasher.Dispose();
        _file.Dispose();
        File.Delete(_temporary);
    }
}
