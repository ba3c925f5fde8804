using System.Net;
using System.Net.Sockets;

namespace LlamaCluster.Cluster.Hub;

/// <summary>A file's content as it comes from a hub.</summary>
public sealed class HubContent : IDisposable
{
    readonly HttpResponseMessage _response;
    readonly string _file;
    readonly TimeSpan _silence;
    readonly CancellationTokenSource _stalled;
    Stream? _stream;
    long _read;

    /// <param name="silence">The longest time that may pass without a byte.</param>
    internal HubContent(HttpResponseMessage response, string file, TimeSpan silence, TimeProvider time)
    {
        (_response, _file, _silence) = (response, file, silence);
        _stalled = new CancellationTokenSource(silence, time);
    }

    /// <summary>It is the whole file, whatever was asked for: a hub, or what stands before it, may know nothing of parts.</summary>
    public bool IsWhole => _response.StatusCode is HttpStatusCode.OK;

    /// <summary>The byte of the file that it begins with. Null: there is none, because the file ends before.</summary>
    public long? From => IsWhole ? 0 : _response.StatusCode is HttpStatusCode.PartialContent ? _response.Content.Headers.ContentRange?.From : null;

    /// <returns>How many bytes came; 0 at the end, also where more was promised and the connection ended in order.</returns>
    /// <exception cref="HubTroubleException">It broke off, or nothing came for too long.</exception>
    public async ValueTask<int> ReadAsync(Memory<byte> buffer, CancellationToken cancellation)
    {
        using var either = CancellationTokenSource.CreateLinkedTokenSource(_stalled.Token, cancellation);
        try
        {
            _stalled.CancelAfter(_silence);
            _stream ??= await _response.Content.ReadAsStreamAsync(either.Token);
            var count = await _stream.ReadAsync(buffer, either.Token);
            _read += count;
            return count;
        }
        catch (Exception e) when (e is HttpIOException or HttpRequestException || (e is IOException && e.InnerException is SocketException))
        {
            throw new HubTroubleException($"{_file} broke off after {_read} bytes from byte {From}: {e.Message}", null);
        }
        catch (OperationCanceledException) when (!cancellation.IsCancellationRequested)
        {
            throw new HubTroubleException($"nothing more of {_file} has come for {_silence.TotalSeconds:0.##} s", null);
        }
        finally
        {
            _stalled.CancelAfter(Timeout.InfiniteTimeSpan);   // whoever writes what came may take its time
        }
    }

    public void Dispose()
    {
        _stream?.Dispose();
        _response.Dispose();
        _stalled.Dispose();
    }
}
