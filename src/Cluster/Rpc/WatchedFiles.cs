using System.Security.Cryptography;
using Microsoft.Extensions.Logging;
using Microsoft.Extensions.Logging.Abstractions;

namespace LlamaCluster.Cluster.Rpc;

/// <summary>A file that an option names.</summary>
public sealed record OptionFile(string Option, string Path);

/// <summary>How <see cref="WatchedFiles{T}"/> are watched.</summary>
public static class WatchedFiles
{
    /// <summary>Looking costs small reads, and so long may a change go unseen.</summary>
    public static readonly TimeSpan LooksEvery = TimeSpan.FromSeconds(10);
}

/// <summary>
/// What is read from files that may change while the process runs. They are looked at when somebody asks, and no more often than
/// <see cref="WatchedFiles.LooksEvery"/>. Files that cannot be used change nothing: of files that belong together, some may be new and others not.
/// Safe for concurrent use.
/// </summary>
/// <typeparam name="T">Values that others may still use when they are replaced: they are left to the garbage collector.</typeparam>
public sealed partial class WatchedFiles<T> where T : class
{
    readonly IReadOnlyList<OptionFile> _files;
    readonly Func<T> _read;
    readonly TimeProvider _time;
    readonly Lock _looking = new();
    ILogger _logger = NullLogger.Instance;
    T _current;
    string _fingerprint;
    string _problem = "";
    long _looked;

    /// <param name="read">Reads the files. An IOException says in one line what is wrong with which.</param>
    /// <exception cref="IOException">They cannot be used.</exception>
    public WatchedFiles(IReadOnlyList<OptionFile> files, Func<T> read, TimeProvider time)
    {
        (_files, _read, _time) = (files, read, time);
        _fingerprint = Fingerprint();
        _current = read();
        _looked = time.GetTimestamp();
    }

    /// <summary>Where it is said that files were read again, or cannot be used.</summary>
    public void LogTo(ILogger logger) => _logger = logger;

    /// <summary>What is in the files, as of the last look.</summary>
    public T Current()
    {
        lock (_looking)
        {
            if (_time.GetElapsedTime(_looked) < WatchedFiles.LooksEvery) return _current;
            _looked = _time.GetTimestamp();
            try
            {
                var now = Fingerprint();
                if (now == _fingerprint) return _current;
                _current = _read();
                (_fingerprint, _problem) = (now, "");
                LogChanged(Names, _current);
            }
            catch (IOException e)
            {
                if (e.Message != _problem) LogNotChanged(Names, _current, e.Message);
                _problem = e.Message;
            }
            return _current;
        }
    }

    string Names => string.Join(", ", _files.Select(file => file.Option));

    /// <summary>A hash of what is in the files. Their times say less: Kubernetes changes a link to a folder that has other files.</summary>
    string Fingerprint()
    {
        using var hash = IncrementalHash.CreateHash(HashAlgorithmName.SHA256);
        foreach (var file in _files) hash.AppendData(SHA256.HashData(Bytes(file)));
        return Convert.ToHexString(hash.GetHashAndReset());
    }

    static byte[] Bytes(OptionFile file)
    {
        try
        {
            return File.ReadAllBytes(file.Path);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{file.Option}: cannot use {file.Path}: {e.Message.ReplaceLineEndings(" ")}");
        }
    }

    [LoggerMessage(Level = LogLevel.Information, Message = "{Options}: changed; from now on {What}")]
    partial void LogChanged(string options, object what);

    [LoggerMessage(Level = LogLevel.Warning, Message = "{Options}: changed and cannot be used, so it stays at {What}: {Problem}")]
    partial void LogNotChanged(string options, object what, string problem);
}
