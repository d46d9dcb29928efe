import AwsS3 from "@uppy/aws-s3";
import Uppy from "@uppy/core";
import GoldenRetriever from "@uppy/golden-retriever";
import { offerUppy } from "../page.js";

offerUppy({ Uppy, AwsS3, GoldenRetriever, endpointOption: "endpoint" });
