using System.Security.Cryptography;
using System.Text;
using System.Text.Encodings.Web;
using System.Text.Json;
using LlamaCluster.Cluster;
using LlamaCluster.Model.Formats;
using LlamaCluster.Planning.Plans;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Weights;

/// <summary>
/// The hashes of a model's parts on disk: a file beside the model's first file, FILE.hashes.json, or in the user's cache folder where the model's folder
/// is read-only. It counts for as long as the model's files have the same sizes, times and inodes. So bits that change on the disk by themselves
/// are found, and a file that was put in the place of another is hashed anew.
/// </summary>
public sealed partial class HashRecord
{
    const string Suffix = ".hashes.json";
    const int MaxBytes = 64 << 20;

    static readonly JsonSerializerOptions Json = new() { WriteIndented = true, Encoder = JavaScriptEncoder.UnsafeRelaxedJsonEscaping };

    readonly string[] _places;
    readonly FileIdentity[] _files;
    readonly ILogger _logger;

    /// <param name="files">The paths of the model's files.</param>
    /// <param name="fallback">The folder for records of models whose own folder is read-only. Null: there is none.</param>
    public HashRecord(IReadOnlyList<string> files, string? fallback, ILogger logger)
    {
        _files = [.. files.Select(FileIdentity.Of)];
        _logger = logger;
        var first = Path.GetFullPath(files[0]);
        var name = Convert.ToHexStringLower(SHA256.HashData(Encoding.UTF8.GetBytes(first)))[..32];
        _places = fallback is null ? [first + Suffix] : [first + Suffix, Path.Combine(fallback, name + Suffix)];
    }

    /// <summary>
    /// A hash of what tells, without reading them, that the model's files are still the same: names, sizes, times and inodes. Files of the same stamp are the
    /// same; those of others may be, too.
    /// </summary>
    public string Stamp => Convert.ToHexStringLower(SHA256.HashData(JsonSerializer.SerializeToUtf8Bytes(_files, Json)));

    /// <summary>The place for records where caches are kept. Null: nothing can be written anywhere.</summary>
    public static string? DefaultFallback
    {
        get
        {
            try
            {
                return CacheRoot.Find().Hashes;
            }
            catch (IOException)
            {
                return null;
            }
        }
    }

    /// <summary>The record of a model; null where there are no files.</summary>
    public static HashRecord? Of(IModelWeights weights, string? fallback, ILogger logger)
    {
        var files = weights.Tensors.Select(weights.FileOf).OfType<string>().Distinct().ToList();
        return files.Count == 0 ? null : new HashRecord(files, fallback, logger);
    }

    /// <summary>What was written down for the files as they are now. Empty if nothing was.</summary>
    public IEnumerable<KeyValuePair<string, string>> Read() => _places.Select(TryRead).FirstOrDefault(hashes => hashes is not null) ?? [];

    /// <summary>Writes all of the hashes. If that fails, it is logged, and they are made again by the next process.</summary>
    public void Write(IEnumerable<KeyValuePair<string, string>> hashes)
    {
        var ordered = new SortedDictionary<string, string>(hashes.ToDictionary(), StringComparer.Ordinal);
        var content = JsonSerializer.SerializeToUtf8Bytes(new Content(_files, ordered), Json);
        var problems = new List<string>();
        foreach (var place in _places)
        {
            if (TryWrite(place, content) is not { } problem) return;
            problems.Add(problem);
        }
        LogNotKept(string.Join("; ", problems));
    }

    Dictionary<string, string>? TryRead(string place)
    {
        try
        {
            if (new FileInfo(place) is not { Exists: true, Length: <= MaxBytes }) return null;
            if (JsonSerializer.Deserialize<Content>(File.ReadAllBytes(place), Json) is not { Files: { } files, Hashes: { } hashes }) return null;
            if (!files.SequenceEqual(_files))
            {
                LogChanged(place);
                return null;
            }
            return hashes.Where(hash => ModelIdentity.IsDigest(hash.Value)).ToDictionary();
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            LogUnusable(place, e.Message);
            return null;
        }
    }

    /// <returns>Null if it is written. Else why not.</returns>
    static string? TryWrite(string place, byte[] content)
    {
        var temporary = $"{place}.{Guid.NewGuid():N}.part";
        try
        {
            Directory.CreateDirectory(Path.GetDirectoryName(place)!);
            File.WriteAllBytes(temporary, content);
            File.Move(temporary, place, overwrite: true);
            return null;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            if (File.Exists(temporary)) File.Delete(temporary);
            return e.Message;
        }
    }

    sealed record Content(IReadOnlyList<FileIdentity> Files, IReadOnlyDictionary<string, string> Hashes);

    [LoggerMessage(Level = LogLevel.Information, Message = "The model's files have changed since {Path} was written: their parts are hashed again")]
    partial void LogChanged(string path);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The hashes in {Path} cannot be used and are made again: {Problem}")]
    partial void LogUnusable(string path, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The hashes of the model's parts cannot be kept, and are made again by the next process: {Problem}")]
    partial void LogNotKept(string problem);
}
