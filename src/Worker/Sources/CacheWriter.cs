using System.IO.Hashing;
using LlamaCluster.Model.Formats;
using Microsoft.Win32.SafeHandles;

namespace LlamaCluster.Worker.Sources;

/// <summary>
/// Writes a file of the cache under a temporary name, and gives it its real name when it is whole. So another worker on this machine never sees
/// half a file. When two workers write the same file, the later one replaces the earlier one with the same content.
/// </summary>
sealed class CacheWriter : IDisposable
{
    readonly string _path;
    readonly string _temporary;
    readonly SafeFileHandle _file;
    readonly Crc32 _crc = new(Crc32ParameterSet.Crc32C);

    public CacheWriter(string path, TensorPart part)
    {
        (_path, Part, _temporary) = (path, part, $"{path}.{Guid.NewGuid():N}{WeightsCache.TemporarySuffix}");
        _file = File.OpenHandle(_temporary, FileMode.CreateNew, FileAccess.Write, FileShare.Read | FileShare.Delete);
    }

    public TensorPart Part { get; }

    /// <summary>Bytes written so far.</summary>
    public long Length { get; private set; }

    public async ValueTask AppendAsync(ReadOnlyMemory<byte> data, CancellationToken cancellation)
    {
        await RandomAccess.WriteAsync(_file, data, Length, cancellation);
        _crc.Append(data.Span);
        Length += data.Length;
    }

    /// <summary>Ends a file that has all its bytes: writes the trailer and gives it its name.</summary>
    public CachedTensor Commit()
    {
        if (Length != Part.Bytes) throw new InvalidOperationException($"{Length} of {Part.Bytes} bytes of {Part.Tensor.Name} are written");
        RandomAccess.Write(_file, CachedTensor.Trailer(_crc.GetCurrentHashAsUInt32()), Length);
        _file.Dispose();
        File.Move(_temporary, _path, overwrite: true);
        return CachedTensor.Open(_path, Part);
    }

    /// <summary>Deletes the file if it was not committed.</summary>
    public void Dispose()
    {
        _file.Dispose();
        File.Delete(_temporary);
    }
}
