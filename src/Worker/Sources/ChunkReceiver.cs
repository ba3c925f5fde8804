using System.IO.Hashing;
using Grpc.Core;
using LlamaCluster.Cluster;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Sources;

/// <summary>What a stream of weights must bring, so as not to be given up.</summary>
/// <param name="Bytes">At least so many, unless the part ends before.</param>
/// <param name="Within">In so much time, the first call included.</param>
sealed record LeastPace(long Bytes, TimeSpan Within)
{
    /// <summary>Anything at all.</summary>
    public static LeastPace AnyWithin(TimeSpan silence) => new(1, silence);
}

/// <summary>
/// A call that brings parts of tensors, of which it writes the chunks to the cache. Each chunk must be the next one in order, and is kept in memory no longer
/// than it takes to write it.
/// </summary>
sealed class ChunkReceiver : IDisposable
{
    readonly CancellationTokenSource _waiting;
    readonly CancellationToken _cancellation;
    readonly AsyncServerStreamingCall<Wire.WeightChunk> _call;
    readonly ulong _viewVersion;
    readonly LeastPace _pace;
    long _sinceDue;

    /// <param name="cancellation">Ends the call.</param>
    public ChunkReceiver(
        Func<CancellationToken, AsyncServerStreamingCall<Wire.WeightChunk>> call, ulong viewVersion, LeastPace pace, CancellationToken cancellation)
    {
        (_viewVersion, _pace, _cancellation, _sinceDue) = (viewVersion, pace, cancellation, pace.Bytes);
        _waiting = CancellationTokenSource.CreateLinkedTokenSource(cancellation);
        _call = call(_waiting.Token);
    }

    /// <summary>Receives all of a part.</summary>
    /// <param name="index">The part's, in the call.</param>
    /// <param name="arrived">Gets each chunk's length.</param>
    /// <returns>What the sender says that the part hashes to.</returns>
    /// <exception cref="FetchException">The stream is not what was asked for.</exception>
    /// <exception cref="RpcException">The call failed.</exception>
    public async Task<string> ReceiveAsync(uint index, CacheWriter writer, Action<int> arrived)
    {
        var announced = "";
        while (writer.Length < writer.Part.Bytes)
        {
            var chunk = await NextAsync();
            Check(chunk, index, writer);
            await writer.AppendAsync(chunk.Data.Memory, _cancellation);
            arrived(chunk.Data.Length);
            announced = chunk.PartHash;
        }
        return announced;
    }

    public void Dispose()
    {
        _call.Dispose();
        _waiting.Dispose();
    }

    async Task<Wire.WeightChunk> NextAsync()
    {
        try
        {
            if (_sinceDue >= _pace.Bytes)
            {
                _sinceDue = 0;
                _waiting.CancelAfter(_pace.Within);
            }
            if (!await _call.ResponseStream.MoveNext(_waiting.Token)) throw new FetchException("the stream of weights ended early");
            _sinceDue += _call.ResponseStream.Current.Data.Length;
            if (_sinceDue >= _pace.Bytes) _waiting.CancelAfter(Timeout.InfiniteTimeSpan);   // while it is written
            return _call.ResponseStream.Current;
        }
        catch (OperationCanceledException) when (!_cancellation.IsCancellationRequested)
        {
            throw new FetchException(!_waiting.IsCancellationRequested ? "its connection is lost"
                : _pace.Bytes == 1 ? $"no weights came for {_pace.Within.TotalSeconds:0.##} s"
                : $"it is slow: {_sinceDue} bytes in {_pace.Within.TotalSeconds:0.##} s, fewer than {_pace.Bytes}");
        }
    }

    void Check(Wire.WeightChunk chunk, uint index, CacheWriter writer)
    {
        var (name, left) = (writer.Part.Tensor.Name, writer.Part.Bytes - writer.Length);
        if (chunk.ViewVersion != _viewVersion) throw new FetchException($"a chunk is of view {chunk.ViewVersion}, not {_viewVersion}");
        if (chunk.TensorIndex != index || chunk.Offset != (ulong)writer.Length)
            throw new FetchException($"byte {chunk.Offset} of tensor {chunk.TensorIndex} came where byte {writer.Length} of tensor {index} ({name}) is next");
        if (chunk.Data.Length is 0 or > MessageBudgets.FramePayload || chunk.Data.Length > left)
            throw new FetchException(
                $"a chunk of {name} has {chunk.Data.Length} bytes, where {left} are left and a chunk has at most {MessageBudgets.FramePayload}");
        if (chunk.LastOfTensor != (chunk.Data.Length == left)) throw new FetchException($"the end of {name} is marked in the wrong place");
        if (Crc32.HashToUInt32(Crc32ParameterSet.Crc32C, chunk.Data.Span) != chunk.Crc32C)
            throw new FetchException($"the checksum of a chunk of {name} does not agree, at byte {chunk.Offset}");
    }
}

/// <summary>
/// A chunk of weights arrived damaged, out of order, or not at all. The message is one line. It is worth another try, from the first tensor
/// that is not whole.
/// </summary>
sealed class FetchException(string message) : Exception(message);
