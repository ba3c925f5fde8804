using LlamaCluster.Model.Config;
using LlamaCluster.Worker.Loading;
using Wire = LlamaCluster.Protos;

namespace LlamaCluster.Worker.Tests.Loading;

public class StepRowLimitTests
{
    [Theory]
    [InlineData("llama-3.1-405b", Wire.ActivationType.F32, 32_767)]    // of 65536 bytes each
    [InlineData("llama-3.1-405b", Wire.ActivationType.Bf16, 40_329)]   // of 53248 feed-forward numbers each
    [InlineData("llama-3.1-8b", Wire.ActivationType.F32, 131_071)]
    public void Of_AModel_IsWhatOneSpanHolds(string shape, Wire.ActivationType type, int rows) =>
        Assert.Equal(rows, StepRowLimit.Of(ModelShape.Parse(shape).Config, type));
}
