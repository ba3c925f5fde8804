using System.Buffers;
using System.Net;
using System.Text.Json;
using System.Threading.Channels;
using Microsoft.Extensions.Logging;

namespace LlamaCluster.Coordinator.Api.Auditing;

/// <summary>One request of the API that has ended: who asked for what, and what came of it. Nothing of what was said is in it.</summary>
/// <param name="Key">The name that its key has; null: it showed none that is known.</param>
/// <param name="Status">HTTP status; 499, as proxies write it, where the client was gone before there was one.</param>
/// <param name="IsCut">The answer did not come to its end.</param>
sealed record AuditEntry(
    DateTimeOffset Ended, string RequestId, string? Key, IPAddress? Client, string Method, string Path, int Status, bool IsCut, int PromptTokens,
    int CompletionTokens, TimeSpan Took);

/// <summary>
/// A file with one JSON line for each request. The file is opened for each batch of lines, so it can be moved away or emptied at any time. Entries wait in a
/// bounded queue. A request waits for room in it for a moment at most, and not at all while the file cannot be written; entries that found no room are counted,
/// and the file says how many are missing where they are.
/// </summary>
sealed partial class AuditLog : IAsyncDisposable, IDisposable
{
    public const string Option = "--audit-log";

    /// <summary>Entries that wait to be written.</summary>
    public const int Ahead = 4096;

    const int LongestBatch = 256;

    /// <summary>How long a request waits for room in the queue, and the end of the process for what is in it.</summary>
    static readonly TimeSpan Patience = TimeSpan.FromSeconds(2);

    static readonly TimeSpan RetryPause = TimeSpan.FromSeconds(1);

    readonly string _path;
    readonly TimeProvider _time;
    readonly ILogger _logger;
    readonly Channel<AuditEntry> _entries = Channel.CreateBounded<AuditEntry>(new BoundedChannelOptions(Ahead) { SingleReader = true });
    readonly CancellationTokenSource _ending = new();
    readonly Task _writing;
    int _missing;
    volatile bool _isFailing;

    /// <exception cref="IOException">The file cannot be written; the message is one line that says why.</exception>
    public AuditLog(string path, TimeProvider time, ILogger<AuditLog> logger)
    {
        (_path, _time, _logger) = (path, time, logger);
        try
        {
            Open(path).Dispose();
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException)
        {
            throw new IOException($"{Option}: cannot write {path}: {e.Message.ReplaceLineEndings(" ")}");
        }
        _writing = WriteAllAsync();
    }

    public async ValueTask AddAsync(AuditEntry entry)
    {
        if (_entries.Writer.TryWrite(entry)) return;
        if (!_isFailing)
        {
            using var patience = new CancellationTokenSource(Patience, _time);
            try
            {
                await _entries.Writer.WriteAsync(entry, patience.Token);
                return;
            }
            catch (Exception e) when (e is OperationCanceledException or ChannelClosedException)
            {
                // It is counted below.
            }
        }
        Interlocked.Increment(ref _missing);
    }

    /// <summary>Writes what waits, for a moment.</summary>
    public async ValueTask DisposeAsync()
    {
        if (!_entries.Writer.TryComplete()) return;
        _ending.CancelAfter(Patience);
        await _writing;
        _ending.Dispose();
    }

    public void Dispose() => DisposeAsync().AsTask().GetAwaiter().GetResult();

    async Task WriteAllAsync()
    {
        var lines = new ArrayBufferWriter<byte>();
        var missing = 0;
        while (lines.WrittenCount > 0 || await _entries.Reader.WaitToReadAsync())
        {
            if (lines.WrittenCount == 0)
            {
                missing = Interlocked.Exchange(ref _missing, 0);
                if (missing > 0) Write(lines, missing);
                for (var count = 0; count < LongestBatch && _entries.Reader.TryRead(out var entry); count++) Write(lines, entry);
            }
            if (await TryAppendAsync(lines.WrittenMemory)) lines.ResetWrittenCount();
            else if (_ending.IsCancellationRequested) return;
            else await Task.Delay(RetryPause, _time, _ending.Token).ConfigureAwait(ConfigureAwaitOptions.SuppressThrowing);
        }
    }

    /// <returns>False if nothing was added to the file.</returns>
    async Task<bool> TryAppendAsync(ReadOnlyMemory<byte> lines)
    {
        try
        {
            await using var file = Open(_path);
            var end = file.Seek(0, SeekOrigin.End);
            try
            {
                await file.WriteAsync(lines, _ending.Token);
                await file.FlushAsync(_ending.Token);
            }
            catch
            {
                if (file.Length > end) file.SetLength(end);   // a part of a line would spoil the next one
                throw;
            }
            if (_isFailing) LogWorking(_path);
            _isFailing = false;
            return true;
        }
        catch (Exception e) when (e is IOException or UnauthorizedAccessException or OperationCanceledException)
        {
            if (!_isFailing) LogFailing(_path, e.Message.ReplaceLineEndings(" "));
            _isFailing = true;
            return false;
        }
    }

    /// <summary>Who asked for what is for the operator's eyes.</summary>
    static FileStream Open(string path)
    {
        var options = new FileStreamOptions
        {
            Mode = FileMode.OpenOrCreate,
            Access = FileAccess.Write,
            Share = FileShare.ReadWrite | FileShare.Delete,
            BufferSize = 0,
        };
        if (!OperatingSystem.IsWindows()) options.UnixCreateMode = UnixFileMode.UserRead | UnixFileMode.UserWrite;
        return new FileStream(path, options);
    }

    void Write(ArrayBufferWriter<byte> lines, int missing)
    {
        using (var json = new Utf8JsonWriter(lines))
        {
            json.WriteStartObject();
            json.WriteString("time", _time.GetUtcNow());
            json.WriteNumber("entries_missing", missing);
            json.WriteEndObject();
        }
        lines.Write("\n"u8);
    }

    static void Write(ArrayBufferWriter<byte> lines, AuditEntry entry)
    {
        using (var json = new Utf8JsonWriter(lines))
        {
            json.WriteStartObject();
            json.WriteString("time", entry.Ended);
            json.WriteString("request_id", entry.RequestId);
            json.WriteString("key", entry.Key);
            json.WriteString("client", entry.Client?.ToString());
            json.WriteString("method", entry.Method);
            json.WriteString("path", entry.Path);
            json.WriteNumber("status", entry.Status);
            if (entry.IsCut) json.WriteBoolean("cut", true);
            json.WriteNumber("prompt_tokens", entry.PromptTokens);
            json.WriteNumber("completion_tokens", entry.CompletionTokens);
            json.WriteNumber("milliseconds", (long)entry.Took.TotalMilliseconds);
            json.WriteEndObject();
        }
        lines.Write("\n"u8);
    }

    [LoggerMessage(Level = LogLevel.Error, Message =
        "The audit log {Path} cannot be written, so entries wait, and those that find no room are lost: {Problem}")]
    partial void LogFailing(string path, string problem);

    [LoggerMessage(Level = LogLevel.Warning, Message = "The audit log {Path} is written again")]
    partial void LogWorking(string path);
}
