using LlamaCluster.Coordinator.Api.Reading;
using Microsoft.AspNetCore.Http;

namespace LlamaCluster.Coordinator.Api.Endpoints;

/// <summary>Everything that has no address here.</summary>
sealed class UnknownPathEndpoint : IEndpoint
{
    public Task<ApiError?> AnswerAsync(HttpContext http)
        => Task.FromResult<ApiError?>(ApiError.UnknownPath(http.Request.Method, JsonText.Shorten(http.Request.Path)));
}
