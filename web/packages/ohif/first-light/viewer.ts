/** What this takes of the light page: how a picture is described, and how its greys are made. */
export { personName, text, type DataSet } from '../../viewer/src/dicom/dataset.ts';
export { picturesOf, type Picture } from '../../viewer/src/dicom/picture.ts';
export { firstTone, grey, type Tone } from '../../viewer/src/paint/tone.ts';
