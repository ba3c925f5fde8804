using LlamaCluster.Model.Config;
using LlamaCluster.Model.Inference;
using LlamaCluster.Model.Ranks;
using LlamaCluster.Model.Sequences;
using LlamaCluster.Worker.Models;

namespace LlamaCluster.Worker.Tests.Fakes;

sealed class FakeShardModel(FakeModel model, LlamaConfig config, StageShape shape, long bytes) : IShardModel
{
    public const long BlockBytes = 1000;

    public LlamaConfig Config => config;

    public StageShape Shape => shape;

    public long Bytes => bytes;

    public long BytesPerBlock(StageOptions options) => BlockBytes;

    public long BufferBytes(StageOptions options) => 0;

    public IStage CreateStage(StageOptions options, IRankExchange? exchange)
    {
        Interlocked.Increment(ref model.LiveStages);
        return new FakeStage(model, config, shape, options, exchange);
    }

    public void Dispose()
    {
        Interlocked.Decrement(ref model.LiveWeights);
        model.OnForget();
    }
}
