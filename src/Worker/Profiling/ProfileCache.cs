using System.Text.Json;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Worker.Profiling;

/// <summary>
/// Measurements on disk, one file each: FOLDER/KEY.json. A file that is damaged or older than <see cref="Longest"/> counts as missing. A file is
/// written under a temporary name and then moved, so that nobody reads half a file.
/// </summary>
sealed partial class ProfileCache(string folder, TimeProvider time, ILogger<ProfileCache> logger)
{
    /// <summary>How long a measurement counts. A machine that was busy when it was measured must not look slow for ever.</summary>
    public static readonly TimeSpan Longest = TimeSpan.FromDays(7);

    public MachineProfile? TryRead(string key)
    {
        var path = PathOf(key);
        try
        {
            if (!File.Exists(path) || time.GetUtcNow() - File.GetLastWriteTimeUtc(path) > Longest) return null;
            if (JsonSerializer.Deserialize<MachineProfile>(File.ReadAllBytes(path)) is { IsSound: true } profile) return profile;
            LogDamaged(path, "its numbers are none that a machine has");
        }
        catch (Exception e) when (e is JsonException or IOException or UnauthorizedAccessException)
        {
            LogDamaged(path, e.Message);
        }
        return null;
    }

    /// <summary>Keeps a measurement. If that fails, it is logged, and the worker works without.</summary>
    public void Write(string key, MachineProfile profile)
    {
        var temporary = Path.Combine(folder, $"{key}.{Guid.NewGuid():N}.part");
        try
        {
            Directory.CreateDirectory(folder);
            File.WriteAllBytes(temporary, JsonSerializer.SerializeToUtf8Bytes(profile));
            File.Move(temporary, PathOf(key), overwrite: true);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            LogNotKept(folder, e.Message);
        }
    }

    /// <summary>Takes a lock that one process of this machine has at a time, so that measurements do not disturb each other.</summary>
    /// <returns>To be disposed of. Null if another process has the lock.</returns>
    public IDisposable? TryLock()
    {
        try
        {
            Directory.CreateDirectory(folder);
            return new FileStream(Path.Combine(folder, "measuring.lock"), FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            return null;
        }
    }

    string PathOf(string key) => Path.Combine(folder, $"{key}.json");

    [LoggerMessage(Level = LogLevel.Warning, Message = "The measurements in {Path} cannot be used and are made again: {Problem}")]
    partial void LogDamaged(string path, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "Measurements cannot be kept in {Folder}: {Problem}")]
    partial void LogNotKept(string folder, string problem);
}
