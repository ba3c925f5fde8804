using System.Security.Cryptography;
using System.Text.Json;
using LlamaCluster.Primitives;

namespace LlamaCluster.Coordinator.Membership;

/// <summary>
/// The cluster that this coordinator owns. Its id and the epoch are kept in the coordinator's data folder. Each start is a new epoch, so workers
/// can tell this coordinator from an older one of the same cluster, and views of one epoch are above all views of the epochs before. Only one
/// process at a time owns a data folder.
/// </summary>
/// <param name="ClusterId">32 digits of lower-case hex. A new folder is a new cluster.</param>
/// <param name="Epoch">From 1.</param>
public sealed record ClusterOwnership(string ClusterId, ulong Epoch) : IDisposable
{
    /// <summary>View versions of epoch e begin above e times this.</summary>
    public const ulong ViewsPerEpoch = 1_000_000_000;

    const string StateFile = "cluster.json";
    const string LockFile = "coordinator.lock";

    FileStream? _lock;

    /// <summary>The folder that this process owns; null: none, and nothing is kept.</summary>
    public string? Folder { get; private init; }

    /// <summary>The version that the first view of this epoch is above.</summary>
    public ulong ViewsBefore => Epoch * ViewsPerEpoch;

    /// <summary>Takes the cluster of a data folder over, for as long as this process lives.</summary>
    /// <param name="folder">Made if it does not exist. Null: nothing is kept, and the cluster is a new one.</param>
    /// <exception cref="IOException">The folder cannot be used, or another coordinator uses it. The message is one line.</exception>
    public static ClusterOwnership Take(string? folder)
    {
        if (folder is null) return new ClusterOwnership(NewId(), 1);
        FileStream? held = null;
        try
        {
            Directory.CreateDirectory(folder);
            held = Lock(folder);
            var state = Path.Combine(folder, StateFile);
            var owned = File.Exists(state) ? Read(state) : new ClusterOwnership(NewId(), 0);
            owned = owned with { Epoch = owned.Epoch + 1, _lock = held, Folder = folder };
            Write(state, owned);
            return owned;
        }
        catch (Exception e)
        {
            held?.Dispose();
            if (e is UnauthorizedAccessException) throw new IOException($"--data-dir: {folder} cannot be used: {ErrorText.Sentence(e.Message)}", e);
            throw;
        }
    }

    /// <summary>The same with a folder that nobody asked for: where it cannot be used, nothing is kept.</summary>
    /// <param name="problem">Why it cannot be used, in one line; null if it can.</param>
    public static ClusterOwnership TakeDefault(string? folder, out string? problem)
    {
        problem = null;
        try
        {
            return Take(folder);
        }
        catch (IOException e)
        {
            problem = e.Message;
            return Take(null);
        }
    }

    public void Dispose() => _lock?.Dispose();

    static string NewId() => Convert.ToHexStringLower(RandomNumberGenerator.GetBytes(16));

    static FileStream Lock(string folder)
    {
        var path = Path.Combine(folder, LockFile);
        try
        {
            return new FileStream(path, FileMode.OpenOrCreate, FileAccess.ReadWrite, FileShare.None);
        }
        catch (IOException e)
        {
            throw new IOException(
                $"--data-dir: another coordinator uses {folder} ({ErrorText.Sentence(e.Message)}); stop it, or give this one a folder of its own", e);
        }
    }

    static ClusterOwnership Read(string path)
    {
        try
        {
            using var json = JsonDocument.Parse(File.ReadAllBytes(path));
            var (id, epoch) = (json.RootElement.GetProperty("cluster_id").GetString(), json.RootElement.GetProperty("epoch").GetUInt64());
            if (id is { Length: 32 } && id.All(char.IsAsciiHexDigitLower) && epoch is > 0 and < ulong.MaxValue / ViewsPerEpoch - 1)
                return new ClusterOwnership(id, epoch);
        }
        catch (Exception e) when (e is JsonException or KeyNotFoundException or InvalidOperationException or FormatException)
        {
            // said below
        }
        throw new IOException($"--data-dir: {path} is damaged; remove it to begin a new cluster");
    }

    /// <summary>A crash leaves the old file or the new one, never half of one.</summary>
    static void Write(string path, ClusterOwnership owned)
    {
        var next = path + ".new";
        using (var file = new FileStream(next, FileMode.Create, FileAccess.Write, FileShare.None))
        {
            using (var json = new Utf8JsonWriter(file))
            {
                json.WriteStartObject();
                json.WriteString("cluster_id", owned.ClusterId);
                json.WriteNumber("epoch", owned.Epoch);
                json.WriteEndObject();
            }
            file.Flush(flushToDisk: true);
        }
        File.Move(next, path, overwrite: true);
    }
}
